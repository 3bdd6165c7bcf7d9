/// The fixed texts that emitted programs build on: replaceable functions of the C library, and small helpers.
enum CHelpers {
    static let memoryFunctions: Set<String> = ["memcpy", "memmove", "memset"]

    /// Macros for the given functions of `math.h` and `string.h`. Whoever defines them all needs neither header.
    static func libraryMacros(_ functions: Set<String>) -> String {
        var text = ""
        for function in functions.sorted() {
            let macro = "MARTLET_" + function.uppercased()
            let header = memoryFunctions.contains(function) ? "string.h" : "math.h"
            text += "#ifndef \(macro)\n#include <\(header)>\n#define \(macro) \(function)\n#endif\n"
        }
        return text
    }

    static let constantMacros = """
        #if defined(__GNUC__)
        #define MARTLET_INFINITY __builtin_inff()
        #define MARTLET_NAN __builtin_nanf("")
        #else
        #include <math.h>
        #define MARTLET_INFINITY INFINITY
        #define MARTLET_NAN NAN
        #endif

        """

    /// Compilers turn loops that copy or fill into calls of `memcpy` and `memset`, which a program without a C library lacks.
    static let loopMacro = """
        /* Where copying or filling is replaced, the compiler may not call the C library's functions in place of loops either. */
        #if defined(MARTLET_MEMCPY) || defined(MARTLET_MEMSET)
        #if defined(__clang__)
        #define MARTLET_LOOPS __attribute__((no_builtin("memcpy", "memset")))
        #elif defined(__GNUC__)
        #pragma GCC optimize("no-tree-loop-distribute-patterns")
        #endif
        #endif
        #ifndef MARTLET_LOOPS
        #define MARTLET_LOOPS
        #endif

        """

    static let functionMacro = """
        /* Functions stay whole: inlining all of them into one would only slow the compiler. */
        #if defined(__GNUC__)
        #define MARTLET_FUNCTION static __attribute__((noinline)) MARTLET_LOOPS
        #else
        #define MARTLET_FUNCTION static
        #endif

        """

    /// A helper by name, and the helpers that it calls.
    struct Helper {
        var text: String
        var needs: [String] = []
    }

    /// The names with everything they need, in an order in which each stands after what it calls.
    static func closure(of names: Set<String>) -> [String] {
        var ordered: [String] = []
        func visit(_ name: String) {
            guard !ordered.contains(name), let helper = all[name] else { return }
            for need in helper.needs { visit(need) }
            ordered.append(name)
        }
        for name in names.sorted() { visit(name) }
        return ordered
    }

    static let all: [String: Helper] = [
        "martlet_bits_to_float": Helper(
            text: """
                static inline float martlet_bits_to_float(uint32_t bits)
                {
                    union { uint32_t bits; float real; } u;
                    u.bits = bits;
                    return u.real;
                }
                """),
        "martlet_float_to_bits": Helper(
            text: """
                static inline uint32_t martlet_float_to_bits(float real)
                {
                    union { uint32_t bits; float real; } u;
                    u.real = real;
                    return u.bits;
                }
                """),
        "martlet_load_f16": Helper(
            text: """
                /* IEEE half precision to single: exact. */
                static inline float martlet_load_f16(uint16_t half)
                {
                    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
                    const uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
                    if (exponent == 31u) return martlet_bits_to_float(sign | 0x7f800000u | fraction << 13);
                    if (exponent == 0u) {
                        const float magnitude = (float)fraction * 5.9604644775390625e-8f;
                        return sign ? -magnitude : magnitude;
                    }
                    return martlet_bits_to_float(sign | (exponent + 112u) << 23 | fraction << 13);
                }
                """, needs: ["martlet_bits_to_float"]),
        "martlet_store_f16": Helper(
            text: """
                /* Single precision to the nearest half, ties to even. */
                static inline uint16_t martlet_store_f16(float real)
                {
                    const uint32_t bits = martlet_float_to_bits(real), magnitude = bits & 0x7fffffffu;
                    const uint32_t sign = (bits >> 16) & 0x8000u;
                    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
                    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
                    if (magnitude < 0x38800000u) {
                        /* Adding one half makes the addition round at the last bit of a subnormal. */
                        const float shifted = martlet_bits_to_float(magnitude) + 0.5f;
                        return (uint16_t)(sign | (martlet_float_to_bits(shifted) - 0x3f000000u));
                    }
                    return (uint16_t)(sign | ((magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13));
                }
                """, needs: ["martlet_bits_to_float", "martlet_float_to_bits"]),
        "martlet_load_bf16": Helper(
            text: """
                static inline float martlet_load_bf16(uint16_t bfloat)
                {
                    return martlet_bits_to_float((uint32_t)bfloat << 16);
                }
                """, needs: ["martlet_bits_to_float"]),
        "martlet_store_bf16": Helper(
            text: """
                /* Single precision to the nearest bfloat16, ties to even. */
                static inline uint16_t martlet_store_bf16(float real)
                {
                    const uint32_t bits = martlet_float_to_bits(real);
                    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
                    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
                }
                """, needs: ["martlet_float_to_bits"]),
        "martlet_to_i64": Helper(
            text: """
                /* The integer part, clamped to the range; zero for a NaN. */
                static inline int64_t martlet_to_i64(double real)
                {
                    if (!(real == real)) return 0;
                    if (real >= 9223372036854775808.0) return INT64_MAX;
                    if (real < -9223372036854775808.0) return INT64_MIN;
                    return (int64_t)real;
                }
                """),
    ]
}
