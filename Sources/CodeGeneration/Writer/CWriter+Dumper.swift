import IR

extension CWriter {
    /// `dump_main.c`: writes every value that a step makes to a file.
    func dumper() -> String {
        """
        /* Runs \(name) and writes the results of every step, in order, as they lie in memory.
         * Usage: dump INPUTS VALUES. */
        #include "\(name).h"

        #include <stdio.h>
        #include <string.h>

        \(buffers())static void write_value(void *file, int step, int result, const void *data, size_t size)
        {
            (void)step;
            (void)result;
            if (fwrite(data, 1, size, file) != size) perror("dump");
        }

        int main(int argc, char **argv)
        {
            FILE *const file = fopen(argc > 2 ? argv[1] : "inputs.bin", "rb");
            \(name)_hooks hooks;
            int status;
        \(arguments())    if (!file) {
                fprintf(stderr, "the inputs cannot be opened\\n");
                return 2;
            }
        \(inputs.enumerated().filter { $1.type.count > 0 }.map { "    if (fread(input_\($0.offset), sizeof input_\($0.offset), 1, file) != 1) return 2;\n" }.joined())    fclose(file);
            memset(&hooks, 0, sizeof hooks);
            hooks.context = fopen(argc > 2 ? argv[2] : "values.bin", "wb");
            if (!hooks.context) {
                fprintf(stderr, "the values cannot be written\\n");
                return 2;
            }
            hooks.value = write_value;
            in.hooks = &hooks;
            status = \(name)_run(&in, &out, arena);
            if (status) fprintf(stderr, "\(name)_run returned %d\\n", status);
            return fclose(hooks.context) || status;
        }

        """
    }
}
