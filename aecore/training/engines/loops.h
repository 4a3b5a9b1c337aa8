/* How the compiled loops are compiled. */
#include <stdint.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
/* Once for each kind of processor; which one is chosen where it runs, so that one installation serves a cluster. */
#if __GNUC__ >= 12
#define CLONES "arch=x86-64-v4", "arch=x86-64-v3", "default"
#else
#define CLONES "avx512f", "avx2", "default"
#endif
#define EXPORT __attribute__((visibility("default"), target_clones(CLONES)))
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))
