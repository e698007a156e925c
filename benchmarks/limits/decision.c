/* What a rate decision costs: ``decision SETS KEYS``. Prints the ns of the best of many short rounds, in which nobody else
   happened to have the core; keys come at random, so that with many of them hardly one comes twice:

    cas      one 16-byte compare-and-swap of a cell that was read before, of as many different ones
    charge   rate_charge with time and fingerprint given
    refuse   the same, refused
    hash     SipHash-2-4 of a key of 15 bytes
    clock    clock_gettime(CLOCK_MONOTONIC)
    whole    clock, hash and charge
    evicted  percent of the keys that were given up while they were live, when all had been charged once
*/
#define _GNU_SOURCE
#include "tidegate/memory/cells.h"
#include "tidegate/memory/siphash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROUNDS = 200, TIMES = 20000, KEY_SIZE = 15, CELLS_MAX = 4096 };
static const int64_t AN_HOUR = 3600000000000, EVER = (int64_t)1 << 60;
static const siphash_key SECRET = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t fingerprint(uint64_t key, char *text)
{
    memset(text, 'k', KEY_SIZE);
    memcpy(text, &key, sizeof(key));
    return siphash(SECRET, text, KEY_SIZE);
}

#define MEASURE(name, statement) \
    for (int round = 0; round < ROUNDS; round++) { \
        int64_t begin = now_ns(); \
        for (int i = round * TIMES; i < (round + 1) * TIMES; i++) { statement; } \
        double spent = (double)(now_ns() - begin) / TIMES; \
        if (round == 0 || spent < best) best = spent; \
    } \
    printf("%s %.2f ", name, best)

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    uint32_t sets = (uint32_t)atoll(argv[1]);
    uint64_t keys = (uint64_t)atoll(argv[2]);
    uint64_t *number = malloc(ROUNDS * TIMES * sizeof(uint64_t)), *print = malloc(ROUNDS * TIMES * sizeof(uint64_t));
    void *memory = mmap(NULL, table_size(sets), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || number == NULL || print == NULL || keys == 0)
        return 2;
    cell_table t = table_at(memory, sets);
    cell *cells = aligned_alloc(64, CELLS_MAX * sizeof(cell));
    memset(cells, 0, CELLS_MAX * sizeof(cell));
    char text[KEY_SIZE];
    int64_t now = now_ns(), sum = 0;
    uint64_t distinct = keys < CELLS_MAX ? keys : CELLS_MAX;
    double best = 0;
    for (uint64_t key = 0; key < keys; key++)
        rate_charge(&t, fingerprint(key, text), now, AN_HOUR, EVER);
    double evicted = 100.0 * (double)t.header->evictions / (double)keys;
    srand48(1);
    for (int i = 0; i < ROUNDS * TIMES; i++) {
        number[i] = (uint64_t)(drand48() * (double)keys);
        print[i] = fingerprint(number[i], text);
    }
    MEASURE("cas", cell *at = cells + number[i] % distinct; cell seen = *at;
            sum += (int64_t)cell_swap(at, seen, (cell){seen.key, seen.used + 1}).used);
    MEASURE("charge", sum += rate_charge(&t, print[i], now, 1, EVER));
    MEASURE("refuse", sum += rate_charge(&t, print[i], now, 1, 0));
    MEASURE("hash", sum += (int64_t)fingerprint(number[i], text));
    MEASURE("clock", sum += now_ns());
    MEASURE("whole", sum += rate_charge(&t, fingerprint(number[i], text), now_ns(), 1, EVER));
    printf("evicted %.4f checksum %" PRId64 "\n", evicted, sum & 1);
    return 0;
}
