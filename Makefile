# make demo   set up, then search, train and export a network for this machine (Fashion-MNIST)
# make test   set up, then run every test
PACKAGES = clang libopenblas-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev libprotobuf-dev libsqlite3-dev zlib1g-dev \
           dataset-fashion-mnist
SCHEMA = /usr/include/onnx/onnx.proto

.PHONY: setup
setup: Sources/CONNX/onnx.pb-c.c

Sources/CONNX/onnx.pb-c.c: $(SCHEMA)
	protoc-c --proto_path=$(dir $(SCHEMA)) --c_out=Sources/CONNX $(notdir $(SCHEMA))
	mkdir -p Sources/CONNX/include && mv Sources/CONNX/onnx.pb-c.h Sources/CONNX/include/
