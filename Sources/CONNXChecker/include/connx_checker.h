/// libonnx's model checker and shape inference behind a C interface.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CONNX_VALID = 0,
    /// The bytes are no ONNX model, or the checker or shape inference refused it.
    CONNX_INVALID = 1,
    /// The checker could not run, for example because memory ran out.
    CONNX_FAILED = 2,
};

/// Checks a serialised ModelProto.
///
/// With `full_check` shapes are inferred as well, strictly: a declared shape that contradicts the inferred one, or a node
/// whose shape cannot be inferred for lack of legality, is an error. The reason is written to `message` as NUL-terminated
/// text of at most `capacity` bytes; it is empty when the model is valid. No C++ exception leaves this function.
int connx_check(const void *bytes, size_t count, int full_check, char *message, size_t capacity);

#ifdef __cplusplus
}
#endif
