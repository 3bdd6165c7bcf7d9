#include "connx_checker.h"

// The layout of the library's classes depends on these; they are what Debian's libonnx is built with. Its ML variant is
// the only one whose generated protobuf headers the package installs.
#define ONNX_NAMESPACE onnx
#define ONNX_ML 1

#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <climits>
#include <cstring>
#include <exception>

namespace {

int report(int status, const char *reason, char *message, size_t capacity) {
    if (message != nullptr && capacity > 0) {
        std::strncpy(message, reason, capacity - 1);
        message[capacity - 1] = '\0';
    }
    return status;
}

void check(const void *bytes, size_t count, bool full) {
    if (count > INT_MAX) throw onnx::checker::ValidationError("the model is larger than protobuf's limit of 2 GiB");
    onnx::ModelProto model;
    if (!model.ParseFromArray(bytes, static_cast<int>(count)))
        throw onnx::checker::ValidationError("the bytes are not a serialised ModelProto");
    onnx::checker::check_model(model);
    if (!full) return;
    const bool check_types = true;
    const bool propagate_data = true;
    const int raise_every_error = 1;
    onnx::shape_inference::InferShapes(
        model, onnx::OpSchemaRegistry::Instance(), {check_types, raise_every_error, propagate_data});
}

}  // namespace

extern "C" int connx_check(const void *bytes, size_t count, int full_check, char *message, size_t capacity) {
    try {
        check(bytes, count, full_check != 0);
        return report(CONNX_VALID, "", message, capacity);
    } catch (const std::bad_alloc &) {
        return report(CONNX_FAILED, "out of memory", message, capacity);
    } catch (const std::exception &error) {
        return report(CONNX_INVALID, error.what(), message, capacity);
    } catch (...) {
        return report(CONNX_FAILED, "an exception of unknown type", message, capacity);
    }
}
