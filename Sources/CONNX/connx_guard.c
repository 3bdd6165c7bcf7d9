#include "connx_guard.h"

#include "onnx.pb-c.h"

typedef struct {
    uint64_t allocation;
    uint64_t allocation_limit;
    unsigned depth_limit;
} Walk;

/// Reads a varint of at most ten bytes; returns the bytes read, or 0 when it does not end in time.
static size_t read_varint(const uint8_t *bytes, size_t count, uint64_t *value) {
    uint64_t result = 0;
    for (size_t i = 0; i < count && i < 10; i++) {
        result |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (!(bytes[i] & 0x80)) {
            *value = result;
            return i + 1;
        }
    }
    return 0;
}

/// The index of the field with this number, or the number of fields when the schema does not know it.
static unsigned field_index(const ProtobufCMessageDescriptor *descriptor, uint64_t number) {
    unsigned index = 0;
    while (index < descriptor->n_fields && descriptor->fields[index].id != number) index++;
    return index;
}

// The recursion is bounded by depth_limit.
static connx_guard_status walk_message(
    Walk *walk, const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t count, unsigned depth) {
    if (depth > walk->depth_limit) return CONNX_GUARD_DEEP;
    walk->allocation += descriptor->sizeof_message;
    uint64_t seen = 0;
    size_t at = 0;
    while (at < count) {
        // One scanned member of protobuf-c's parser, and one element of a repeated or unknown field.
        walk->allocation += 64;
        if (walk->allocation > walk->allocation_limit) return CONNX_GUARD_LARGE;
        uint64_t tag, length;
        size_t used = read_varint(bytes + at, count - at, &tag);
        if (used == 0 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return CONNX_GUARD_MALFORMED;
        at += used;
        switch (tag & 7) {
        case 0:
            used = read_varint(bytes + at, count - at, &length);
            if (used == 0) return CONNX_GUARD_MALFORMED;
            at += used;
            break;
        case 1:
            if (count - at < 8) return CONNX_GUARD_MALFORMED;
            at += 8;
            break;
        case 5:
            if (count - at < 4) return CONNX_GUARD_MALFORMED;
            at += 4;
            break;
        case 2: {
            used = read_varint(bytes + at, count - at, &length);
            if (used == 0) return CONNX_GUARD_MALFORMED;
            at += used;
            if (length > count - at) return CONNX_GUARD_MALFORMED;
            unsigned index = field_index(descriptor, tag >> 3);
            const ProtobufCFieldDescriptor *field = index < descriptor->n_fields ? &descriptor->fields[index] : NULL;
            if (field == NULL || field->type == PROTOBUF_C_TYPE_BYTES || field->type == PROTOBUF_C_TYPE_STRING) {
                walk->allocation += length;
            } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
                if (field->label != PROTOBUF_C_LABEL_REPEATED) {
                    if (seen >> (index & 63) & 1) return CONNX_GUARD_MALFORMED;
                    seen |= (uint64_t)1 << (index & 63);
                }
                connx_guard_status status =
                    walk_message(walk, field->descriptor, bytes + at, (size_t)length, depth + 1);
                if (status != CONNX_GUARD_SAFE) return status;
            } else {
                // Packed varints are one byte at least and eight bytes at most once unpacked.
                walk->allocation += 8 * length;
            }
            at += (size_t)length;
            break;
        }
        default:
            return CONNX_GUARD_MALFORMED;
        }
    }
    return CONNX_GUARD_SAFE;
}

connx_guard_status connx_guard(
    const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t count, unsigned depth_limit,
    uint64_t allocation_limit) {
    Walk walk = {0, allocation_limit, depth_limit};
    return walk_message(&walk, descriptor, bytes, count, 0);
}

const ProtobufCMessageDescriptor *connx_model_descriptor(void) { return &onnx__model_proto__descriptor; }
const ProtobufCMessageDescriptor *connx_tensor_descriptor(void) { return &onnx__tensor_proto__descriptor; }
const ProtobufCMessageDescriptor *connx_attribute_descriptor(void) { return &onnx__attribute_proto__descriptor; }
