import sys
from benchmarks.ground import Session
from benchmarks.scenarios import ALL, Wish
with Session() as s:
    print(ALL[0].run(s, Wish(rounds=int(sys.argv[1]))))
