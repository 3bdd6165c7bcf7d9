/// The linker script of a bare-metal target, made from its memories.
enum LinkerScript {
    /// The script for a Cortex-M: vector table first, code and constants in `flash`, data and stack in `ram`.
    ///
    /// A memory named `boot`, where there is one, holds the vector table because the core looks for it there.
    static func cortexM(_ memories: [Target.Memory]) -> String {
        let rows = memories.compactMap { memory in
            memory.origin.map { "    \(memory.name) : ORIGIN = 0x\(String($0, radix: 16)), LENGTH = \(memory.bytes)\n" }
        }
        let boot = memories.contains { $0.name == "boot" && $0.origin != nil } ? "boot" : "flash"
        return """
            ENTRY(reset_handler)
            MEMORY {
            \(rows.joined())}
            SECTIONS {
                .vectors : { KEEP(*(.vectors)) } > \(boot)
                .text : { *(.text .text.*) *(.rodata .rodata.*) . = ALIGN(8); } > flash
                .ARM.extab : { *(.ARM.extab*) } > flash
                .ARM.exidx : { __exidx_start = .; *(.ARM.exidx*) __exidx_end = .; } > flash
                .init_array : { KEEP(*(.init_array*)) KEEP(*(.fini_array*)) . = ALIGN(8); } > flash
                .data : {
                    . = ALIGN(8);
                    image_data_start = .;
                    *(.data .data.*)
                    . = ALIGN(8);
                    image_data_end = .;
                } > ram AT > flash
                image_data_load = LOADADDR(.data);
                .bss (NOLOAD) : {
                    . = ALIGN(8);
                    image_bss_start = .;
                    *(.bss .bss.* COMMON)
                    . = ALIGN(8);
                    image_bss_end = .;
                    end = .;
                } > ram
                image_stack_top = ORIGIN(ram) + LENGTH(ram);
                ASSERT(image_stack_top - end >= 65536, "the program leaves less than 64 KiB of ram for its stack")
            }

            """
    }
}
