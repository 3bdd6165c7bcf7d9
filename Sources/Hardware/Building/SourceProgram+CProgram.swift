public import CodeGeneration
import IR

extension SourceProgram {
    /// A program that the C writer made.
    ///
    /// Its weights must be part of it: a harness passes none by pointer.
    public init(_ program: CProgram) {
        func port(_ port: CProgram.Port) -> Port {
            let element = port.type.element
            return Port(field: port.field, type: element.cType, count: port.type.storedCount, width: element.size)
        }
        self.init(
            name: program.name, header: program.header,
            files: program.sources.map { File(name: $0.name, contents: $0.contents) },
            inputs: program.inputs.map(port), outputs: program.outputs.map(port),
            flags: program.threads > 1 ? ["-pthread", "-D_GNU_SOURCE", "-DMARTLET_POOL_PIN"] : [],
            threads: program.threads)
    }
}
