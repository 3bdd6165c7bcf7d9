/* Runs the program that martlet_program.h describes once: `program INPUT OUTPUT`.
 *
 * INPUT holds the bytes of all inputs one after the other, OUTPUT receives those of all outputs. Arena and outputs
 * start as garbage, so that a program that reads what it never wrote, or leaves an output out, is found out.
 */
#include <stdio.h>
#include <string.h>
#include "martlet_program.h"

static int fail(const char *what, const char *name) {
    fprintf(stderr, "error: %s: %s\n", name, what);
    return 2;
}

int main(int count, char **words) {
    if (count != 3) return fail("expected the arguments INPUT OUTPUT", PROGRAM_NAME);
    FILE *file = fopen(words[1], "rb");
    if (!file) return fail("cannot be read", words[1]);
    for (int i = 0; i < PROGRAM_INPUTS; i++)
        if (program_inputs[i].bytes > 0
            && fread(program_inputs[i].data, 1, program_inputs[i].bytes, file) != program_inputs[i].bytes)
            return fail("is shorter than the program's inputs", words[1]);
    if (fgetc(file) != EOF) return fail("is longer than the program's inputs", words[1]);
    fclose(file);

    memset(program_arena, 0xff, sizeof program_arena);
    for (int i = 0; i < PROGRAM_OUTPUTS; i++) memset(program_outputs[i].data, 0xff, program_outputs[i].bytes);
    if (program_start()) return fail("threads cannot be started", PROGRAM_NAME);
    int status = program_run();
    if (status != 0) {
        fprintf(stderr, "error: the program's run function returned %d\n", status);
        return 1;
    }

    file = fopen(words[2], "wb");
    if (!file) return fail("cannot be written", words[2]);
    for (int i = 0; i < PROGRAM_OUTPUTS; i++)
        if (program_outputs[i].bytes > 0
            && fwrite(program_outputs[i].data, 1, program_outputs[i].bytes, file) != program_outputs[i].bytes)
            return fail("cannot be written to its end", words[2]);
    if (fclose(file) != 0) return fail("cannot be written to its end", words[2]);
    return 0;
}
