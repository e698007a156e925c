"""Single-word atomics on shared memory: aligned 64-bit words, each access one instruction."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #ifndef TIDEGATE_ATOMICS
    #define TIDEGATE_ATOMICS
    #include <stdint.h>
    static inline uint64_t load_relaxed(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
    static inline uint64_t load_acquire(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static inline void store_relaxed(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
    static inline void store_release(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
    static inline uint64_t load_seq(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
    static inline void store_seq(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
    /* For a word with one writer: the sum is seen whole or not at all, without a locked instruction. */
    static inline void add_single_writer(uint64_t *word, uint64_t amount) {
        __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
    }
    /* Stores ``wanted`` if the word is ``expected``; says whether it was. */
    static inline int compare_swap(uint64_t *word, uint64_t expected, uint64_t wanted) {
        return __atomic_compare_exchange_n(word, &expected, wanted, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    /* Each returns what the word was. */
    static inline uint64_t fetch_add_seq(uint64_t *word, uint64_t amount) {
        return __atomic_fetch_add(word, amount, __ATOMIC_SEQ_CST);
    }
    static inline uint64_t fetch_or_seq(uint64_t *word, uint64_t bits) {
        return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
    }
    static inline uint64_t fetch_and_seq(uint64_t *word, uint64_t bits) {
        return __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
    }
    #endif
    """
    uint64_t load_relaxed(const uint64_t* word) noexcept nogil
    uint64_t load_acquire(const uint64_t* word) noexcept nogil
    void store_relaxed(uint64_t* word, uint64_t value) noexcept nogil
    void store_release(uint64_t* word, uint64_t value) noexcept nogil
    uint64_t load_seq(const uint64_t* word) noexcept nogil
    void store_seq(uint64_t* word, uint64_t value) noexcept nogil
    bint compare_swap(uint64_t* word, uint64_t expected, uint64_t wanted) noexcept nogil
    void add_single_writer(uint64_t* word, uint64_t amount) noexcept nogil
    uint64_t fetch_add_seq(uint64_t* word, uint64_t amount) noexcept nogil
    uint64_t fetch_or_seq(uint64_t* word, uint64_t bits) noexcept nogil
    uint64_t fetch_and_seq(uint64_t* word, uint64_t bits) noexcept nogil
