/// What a compiled program takes up in a device's memories, in bytes.
public struct CodeSize: Hashable, Sendable {
    /// Instructions.
    public var code: Int
    /// Constants, weights above all.
    public var constants: Int
    /// Variables that start with a value: they lie in flash and in ram.
    public var data: Int
    /// Variables that start as zero.
    public var zeroed: Int

    public init(code: Int = 0, constants: Int = 0, data: Int = 0, zeroed: Int = 0) {
        self.code = code
        self.constants = constants
        self.data = data
        self.zeroed = zeroed
    }

    /// What must be stored while the device is off.
    public var flash: Int { code + constants + data }
    /// Variables; stack and the caller's arena come on top.
    public var ram: Int { data + zeroed }

    public static func + (a: CodeSize, b: CodeSize) -> CodeSize {
        CodeSize(
            code: a.code + b.code, constants: a.constants + b.constants, data: a.data + b.data,
            zeroed: a.zeroed + b.zeroed)
    }

    /// Adds up the sections of a little-endian ELF object that are loaded; nil for anything else.
    ///
    /// - Source: System V ABI, chapter 4, *Object Files*: section header table.
    init?(elf file: [UInt8]) {
        self.init()
        guard file.count >= 64, Array(file[0..<4]) == [0x7f, 0x45, 0x4c, 0x46], file[5] == 1 else { return nil }
        let is64 = file[4] == 2
        func number(_ offset: Int, _ width: Int) -> Int? {
            guard offset >= 0, offset <= file.count - width else { return nil }
            var value: UInt64 = 0
            for index in 0..<width { value |= UInt64(file[offset + index]) << UInt64(8 * index) }
            return Int(exactly: value)
        }
        let word = is64 ? 8 : 4
        guard let table = number(is64 ? 0x28 : 0x20, word), let stride = number(is64 ? 0x3a : 0x2e, 2),
            let count = number(is64 ? 0x3c : 0x30, 2)
        else { return nil }
        for index in 0..<count {
            let header = table + index * stride
            guard let type = number(header + 4, 4), let flags = number(header + 8, word),
                let size = number(header + (is64 ? 0x20 : 0x14), word)
            else { return nil }
            let isWritten = flags & 1 != 0
            let isLoaded = flags & 2 != 0
            let isCode = flags & 4 != 0
            guard isLoaded else { continue }
            if isCode {
                code += size
            } else if !isWritten {
                constants += size
            } else if type == 8 {
                zeroed += size
            } else {
                data += size
            }
        }
    }
}
