import CONNX

extension ONNXModel {
    /// Reads an ONNX file and everything it refers to.
    ///
    /// The result is checked: names are unique, nodes are in order of use, and each tensor holds what its shape says.
    ///
    /// - Throws: ``ONNXError`` naming the file, the node or initialiser, and the cause.
    public init(path: String) throws(ONNXError) {
        do throws(ONNXError) {
            let bytes = try FileBytes.read(path)
            self = try Self.read(bytes, reader: ONNXReader(folder: FileBytes.folder(of: path)))
            file = path
        } catch {
            throw error.naming(file: path)
        }
    }

    /// Reads a serialised model; tensors in external files are refused, for there is no folder to look in.
    ///
    /// - Throws: ``ONNXError`` naming `name` as the file.
    public init(bytes: [UInt8], name: String = "model") throws(ONNXError) {
        do throws(ONNXError) {
            self = try Self.read(bytes, reader: ONNXReader(folder: nil))
            file = name
        } catch {
            throw error.naming(file: name)
        }
    }

    private static func read(_ bytes: [UInt8], reader: ONNXReader) throws(ONNXError) -> ONNXModel {
        try Protobuf.withMessage(
            bytes, connx_model_descriptor(), as: Onnx__ModelProto.self, called: "ModelProto"
        ) { (message) throws(ONNXError) in try reader.model(message) }
    }
}
