import Foundation

/// What this machine's own compiler and kernel say about it.
struct NativeMachine {
    var family: Target.Family
    var triple: String
    var vector: Target.Vector

    /// Asks the compiler which instructions its flags give it.
    ///
    /// - Throws: ``HardwareError`` when the compiler is missing or the family is not known here.
    static func describe(compiler: Target.Compiler) throws(HardwareError) -> NativeMachine {
        let (result, triple): (ProcessResult, ProcessResult)
        do throws(HardwareError) {
            result = try ChildProcess.run(
                [compiler.command] + compiler.flags + ["-dM", "-E", "-x", "c", "/dev/null"], timeLimit: .seconds(60))
            triple = try ChildProcess.run([compiler.command, "-dumpmachine"], timeLimit: .seconds(60))
        } catch {
            guard error.code == .toolMissing else { throw error }
            throw HardwareError(
                .toolMissing,
                "target host: the compiler '\(compiler.command)' is not installed; on Debian: apt-get install "
                    + "\(compiler.command)")
        }
        guard result.succeeded, triple.succeeded else {
            throw HardwareError(
                .compilerFailed, "\(compiler.command): does not describe this machine: \(result.firstErrorLine)")
        }
        var defined: Set<Substring> = []
        for line in result.outputText.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 2 { defined.insert(words[1]) }
        }
        let name = triple.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let (family, vector) = vector(for: defined) else {
            throw HardwareError(
                .unsupported, "target host: no support for \(name) yet; known: x86-64, aarch64, armv7, riscv64")
        }
        return NativeMachine(family: family, triple: name, vector: vector)
    }

    /// The vector registers that a compiler's predefined macros promise.
    static func vector(for defined: Set<Substring>) -> (Target.Family, Target.Vector)? {
        if defined.contains("__x86_64__") {
            let fma = defined.contains("__FMA__")
            if defined.contains("__AVX512F__") {
                return (.x8664, Target.Vector(bits: 512, registers: 32, fusedMultiplyAdd: fma))
            }
            let bits = defined.contains("__AVX2__") ? 256 : 128
            return (.x8664, Target.Vector(bits: bits, registers: 16, fusedMultiplyAdd: fma))
        }
        if defined.contains("__aarch64__") {
            return (.aarch64, Target.Vector(bits: 128, registers: 32, fusedMultiplyAdd: true))
        }
        if defined.contains("__arm__") {
            let bits = defined.contains("__ARM_NEON") ? 128 : 32
            return (
                .armv7,
                Target.Vector(bits: bits, registers: 16, fusedMultiplyAdd: defined.contains("__ARM_FEATURE_FMA"))
            )
        }
        if defined.contains("__riscv") {
            let bits = defined.contains("__riscv_vector") ? 128 : 32
            return (.riscv64, Target.Vector(bits: bits, registers: 32, fusedMultiplyAdd: true))
        }
        return nil
    }

    /// The data caches of the first core, as the kernel lists them; nil where it does not.
    static func caches() -> Target.Caches? {
        var caches = Target.Caches(l1Data: 0, l2: 0)
        for index in 0..<8 {
            let folder = "/sys/devices/system/cpu/cpu0/cache/index\(index)/"
            guard let level = line(folder + "level"), let kind = line(folder + "type"), kind != "Instruction",
                let size = line(folder + "size"), let bytes = bytes(size)
            else { continue }
            switch level {
            case "1": caches.l1Data = bytes
            case "2": caches.l2 = bytes
            case "3": caches.l3 = bytes
            default: break
            }
            if let text = line(folder + "coherency_line_size"), let width = Int(text) { caches.line = width }
        }
        return caches.l1Data > 0 ? caches : nil
    }

    /// A name for this machine that stays the same while its processor does.
    ///
    /// Timings of two machines must not be mixed, so it holds the host's name and the processor's model.
    static func identity() -> String {
        let cpuInfo = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let wanted = ["vendor_id", "cpu family", "model", "model name", "CPU implementer", "CPU part", "uarch"]
        var values: [String] = []
        for entry in cpuInfo.split(separator: "\n\n").first?.split(separator: "\n") ?? [] {
            let parts = entry.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            if parts.count == 2, wanted.contains(parts[0]) { values.append(parts[1]) }
        }
        return ([ProcessInfo.processInfo.hostName] + values).joined(separator: "/")
    }

    /// The cores that this process may run on, in ascending order.
    static func permittedCores() -> [Int] {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        for entry in status.split(separator: "\n") where entry.hasPrefix("Cpus_allowed_list:") {
            return cores(in: entry.dropFirst("Cpus_allowed_list:".count).trimmingCharacters(in: .whitespaces))
        }
        return Array(0..<ProcessInfo.processInfo.activeProcessorCount)
    }

    /// The numbers in a list such as `0-2,5`.
    static func cores(in list: String) -> [Int] {
        var cores: [Int] = []
        for part in list.split(separator: ",") {
            let bounds = part.split(separator: "-").compactMap { Int($0) }
            guard let first = bounds.first, let last = bounds.last, first <= last else { continue }
            cores += first...last
        }
        return cores
    }

    private static func line(_ path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func bytes(_ text: String) -> Int? {
        guard let unit = text.last else { return nil }
        switch unit {
        case "K": return Int(text.dropLast()).map { $0 << 10 }
        case "M": return Int(text.dropLast()).map { $0 << 20 }
        default: return Int(text)
        }
    }
}
