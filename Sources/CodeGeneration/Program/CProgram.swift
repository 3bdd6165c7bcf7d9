public import IR

/// A graph written as C: the files of a folder that compiles on its own.
public struct CProgram: Hashable, Sendable {
    /// One file of the folder.
    public struct File: Hashable, Sendable {
        public var name: String
        public var contents: [UInt8]

        public init(_ name: String, contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }
        public init(_ name: String, _ text: String) { self.init(name, contents: Array(text.utf8)) }

        public var text: String { String(decoding: contents, as: UTF8.self) }
    }

    /// An input or an output: a field of `NAME_inputs` or `NAME_outputs`.
    public struct Port: Hashable, Sendable {
        /// The name in the graph.
        public var name: String
        /// The member of the C structure.
        public var field: String
        public var type: TensorType
    }

    /// The prefix of every name that the header declares.
    public var name: String
    /// The network itself: `NAME.h`, `NAME.c` and, by the weights' mode, `NAME_weights.bin`.
    public var sources: [File]
    /// What tries it out: `main.c`, `bench_main.c`, `Makefile` and the test vector.
    public var companions: [File]
    public var inputs: [Port]
    public var outputs: [Port]
    /// Bytes that the caller lends to each run.
    public var arenaBytes: Int
    public var arenaAlignment: Int
    public var weightBytes: Int
    /// What each call of the program computes, by index; profiles and dumps count the same way.
    public var steps: [Step]
    /// How many shares its steps are cut into; 1 for a program that knows nothing of threads.
    public var threads: Int = 1

    /// One call of the program.
    public struct Step: Hashable, Sendable {
        /// The index of the graph's node.
        public var node: Int
        public var mnemonic: String
        /// The node's name, often that of an ONNX node.
        public var name: String?
        public var results: [TensorType]
    }

    public var files: [File] { sources + companions }
    public var header: String { name + ".h" }
    /// Bytes of C text, weights written as text included.
    public var sourceBytes: Int { sources.filter { !$0.name.hasSuffix(".bin") }.reduce(0) { $0 + $1.contents.count } }
}

/// How a program is to be written.
public struct COptions: Hashable, Sendable {
    /// Where the weights go.
    public enum Weights: String, Hashable, CaseIterable, Sendable {
        /// A binary file that the assembler includes; C text of it where the compiler cannot.
        case embed
        /// A binary file that the caller loads or maps, and passes by pointer.
        case file
        /// C text: portable, and slow to compile when there are many.
        case c
    }

    /// The prefix of every declared name; made an identifier where it is none.
    public var name: String
    public var weights = Weights.embed
    /// Whether each call is bracketed by hooks of the caller.
    public var profile = false
    /// Whether the caller's hook gets every intermediate value.
    public var dump = false
    /// What `main.c` checks the program against.
    public var test: TestVector?
    /// Lines of `NAME_info`, such as where the model is from.
    public var notes: [Note] = []

    public init(name: String) { self.name = name }

    public struct Note: Hashable, Sendable {
        public var key: String
        public var value: String
        public init(_ key: String, _ value: String) { (self.key, self.value) = (key, value) }
    }
}

/// Inputs of a graph and the outputs they should give.
public struct TestVector: Hashable, Sendable {
    public var inputs: [Literal]
    public var outputs: [Literal]

    public init(inputs: [Literal], outputs: [Literal]) {
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A graph that cannot be written as C.
public struct ExportError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// An operator or type that has no C here.
        case unsupported
        /// A graph that breaks a rule, or a test vector that does not fit.
        case invalid
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
