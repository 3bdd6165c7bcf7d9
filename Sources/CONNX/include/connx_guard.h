/// A walk over serialised protobuf bytes that bounds what unpacking them will cost.
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CONNX_GUARD_SAFE = 0,
    /// A tag, a varint or a length runs past the end of its message, a wire type or field number does not exist, or a
    /// message that may occur once occurs twice (merging many of them takes quadratic time).
    CONNX_GUARD_MALFORMED,
    /// Messages are nested deeper than the limit.
    CONNX_GUARD_DEEP,
    /// Unpacking would allocate more than the limit.
    CONNX_GUARD_LARGE,
} connx_guard_status;

/// Judges `bytes` as a message of the type `descriptor`, without allocating.
///
/// protobuf-c recurses once per level of nesting and allocates a struct per nested message, so a small hostile file can
/// exhaust the stack or the memory. After this walk neither can happen: at most `depth_limit` levels, and at most about
/// `allocation_limit` bytes besides a copy of the bytes themselves.
connx_guard_status connx_guard(
    const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t count, unsigned depth_limit,
    uint64_t allocation_limit);

/// The schema's descriptors of the messages that are read from bytes of their own.
const ProtobufCMessageDescriptor *connx_model_descriptor(void);
const ProtobufCMessageDescriptor *connx_tensor_descriptor(void);
const ProtobufCMessageDescriptor *connx_attribute_descriptor(void);
