public import CodeGeneration

/// Embedded weights are a binary file for most compilers and C text for the others.
extension Builder {
    /// The weights among a program's files as C text, where the compiler cannot include a binary file.
    func weightsText(of files: [SourceProgram.File]) -> [SourceProgram.File] {
        Builder.weightsText(files.map { ($0.name, $0.contents) }, for: compiler, of: target)
            .map { SourceProgram.File(name: $0.name, contents: $0.contents) }
    }

    static func weightsText(
        _ files: [(name: String, contents: [UInt8])], for compiler: Target.Compiler, of target: Target
    ) -> [CProgram.File] {
        guard files.contains(where: { CProgram.weightsTextName(for: $0.name) != nil }),
            !assemblesWeights(compiler, of: target)
        else { return [] }
        return files.compactMap { CProgram.weightsText(for: $0.name, contents: $0.contents) }
    }

    /// Asks the preprocessor; a compiler that is not installed is taken to be one of those that do.
    private static func assemblesWeights(_ compiler: Target.Compiler, of target: Target) -> Bool {
        let answer = "weights_are_text"
        let question = "#if !(\(CProgram.assemblesWeights))\n\(answer)\n#endif\n"
        guard let scratch = try? ScratchFolder(),
            (try? scratch.write(Array(question.utf8), to: "question.c")) != nil,
            let result = try? run(
                [compiler.command] + compiler.flags + ["-E", "question.c"], as: "compiler", of: target,
                folder: scratch.path)
        else { return true }
        return !result.outputText.contains(answer)
    }
}

extension CProgram {
    /// The files of the folder, with embedded weights as C text too where the target's compiler needs that.
    public func files(for target: Target) -> [File] {
        guard let compiler = try? target.compiler() else { return files }
        return files + Builder.weightsText(sources.map { ($0.name, $0.contents) }, for: compiler, of: target)
    }
}
