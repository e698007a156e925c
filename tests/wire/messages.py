"""Random messages: mostly what a server meets, with one thing or two out of place."""

from hypothesis import strategies as st


def words(text: bytes, *more: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([*text.split(), *more])


def mostly(usual: bytes, *odd: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([usual] * 5 * len(odd) + list(odd))


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


def several(part: st.SearchStrategy[bytes], most: int) -> st.SearchStrategy[bytes]:
    return st.lists(part, max_size=most).map(b"".join)


EOL = mostly(b"\r\n", b"\n", b"\r", b"\r\r\n", b" \r\n", b"\r\n ", b"\0\r\n")
SEPARATOR = mostly(b" ", b"  ", b"\t", b"")
METHOD = words(b"GET GET GET POST POST HEAD PUT OPTIONS CONNECT get FOO G(T")
TARGET = words(
    b"/ / / /a/b?c=d /a?b?c * http://a/ http://A:80 http://b/x https://a",
    *b"a //a /a#b /<> /%zz /\xe9 /a\x01 /a\x7f ftp://a/".split(),
)
VERSION = st.sampled_from(
    [b"HTTP/1.1"] * 20 + [b"HTTP/1.0"] * 4 + b"HTTP/2.0 HTTP/1.2 HTTP/1 http/1.1 HTTP/1.11 HTP/1.1".split()
)
NAME = words(
    b"Content-Length Transfer-Encoding Host Connection Upgrade Expect TE X-A Accept content_length X Y~!",
    *(b"", b"A B", b"A ", b" A", b"A\t", b"A(", b"\xc9", b"A\0", b"Content-Length_", b"Transfer-Encoding\x0b"),
)
VALUE = words(
    b"a a b 0 3 3 03 +3 -3 3,3 0x3 chunked chunked CHUNKED identity gzip,chunked chunked, xchunked",
    *b"close keep-alive upgrade websocket 100-continue trailers X-A a:80 a,b u@a [::1] \xff \x01 \x7f a\0b".split(),
    *(b"", b" a \t", b"chunked, identity", b"a\tb", b"3 3", b"\x0bchunked", b"chunked\x0c", b"99999999999999999999"),
)
COLON = mostly(b": ", b":", b":\t ", b" :", b"\t: ", b"", b"=")
FIELD = joined(NAME, COLON, VALUE, EOL)
HOST = mostly(b"Host: a\r\n", b"", b"Host: b\r\n", b"Host: a\r\nHost: a\r\n", b"HOST:a\r\n", b"Host :a\r\n")
SIZE = words(b"3 3 3 3 003 3;a 3;a=b 0 0 A a 0x3 +3 -3 3g", b"3 ", b" 3", b'3;a="b;c"', b"3; a", b"3;a\n", b"")
CHUNK = joined(SIZE, EOL, st.sampled_from([b"abc", b"abc", b"ab", b"abcd", b"\r\n0"]), EOL)
LAST = joined(words(b"0 0 00 0;a"), EOL, st.just(b"") | FIELD, EOL)
BODY = st.sampled_from([b"", b"abc", b"abcd"]) | joined(several(CHUNK, 2), LAST)
STATUS = words(b"200 200 200 204 304 100 101 404 503 599 600 999 099 20 2000 2x0")
REASON = st.sampled_from([b" OK", b" OK", b" ", b"", b"  a", b" \xe9", b" \x01", b"\tOK", b"OK"])

FIELDS = joined(several(FIELD, 1), HOST, several(FIELD, 2))
BEFORE = mostly(b"", b"\r\n", b"\n", b" ")
REQUEST = joined(BEFORE, METHOD, SEPARATOR, TARGET, SEPARATOR, VERSION, EOL, FIELDS, EOL, BODY)
RESPONSE = joined(VERSION, SEPARATOR, STATUS, REASON, EOL, several(FIELD, 3), EOL, BODY)
CHUNKED = joined(several(CHUNK, 3), LAST)
