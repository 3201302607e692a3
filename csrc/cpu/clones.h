// One function compiled for AVX-512, AVX2 and plain x86-64; the loader picks what the machine has.
#pragma once
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define INFERNO_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define INFERNO_CLONES
#endif
