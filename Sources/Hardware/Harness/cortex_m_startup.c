/* Start-up of a Cortex-M program under a simulator with semihosting.
 *
 * The linker script puts the vector table where the core looks for it and defines the symbols declared below.
 * Standard input and output are newlib's semihosting library; arguments come from the simulator's command line.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern uint32_t image_data_load, image_data_start, image_data_end, image_bss_start, image_bss_end, image_stack_top;
extern void initialise_monitor_handles(void);
extern int main(int count, char **words);

enum { SYS_GET_CMDLINE = 0x15, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

static uintptr_t semihosting(uintptr_t operation, void *block) {
    register uintptr_t r0 __asm__("r0") = operation;
    register void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory", "cc", "r2", "r3", "ip", "lr");
    return r0;
}

static void leave(int status) {
    uintptr_t block[2] = {APPLICATION_EXIT, (uintptr_t)status};
    for (;;) semihosting(SYS_EXIT_EXTENDED, block);
}

/* The system timer counts down 24 bits of core clock; its interrupt counts the rounds. */
#define TIMER_CONTROL (*(volatile uint32_t *)0xE000E010)
#define TIMER_RELOAD (*(volatile uint32_t *)0xE000E014)
#define TIMER_VALUE (*(volatile uint32_t *)0xE000E018)
static volatile uint32_t timer_rounds;

void timer_handler(void) { timer_rounds++; }

unsigned long long martlet_nanoseconds(void) {
    uint32_t rounds, value;
    do {
        rounds = timer_rounds;
        value = TIMER_VALUE;
    } while (rounds != timer_rounds);
    unsigned long long ticks = ((unsigned long long)rounds << 24) + (0xFFFFFFu - value);
    return (unsigned long long)((double)ticks * (1e9 / MARTLET_CLOCK_HZ));
}

void fault_handler(void) { leave(125); }

void reset_handler(void) {
    /* Coprocessors 10 and 11, the floating-point and vector unit, before any code that uses them. */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    for (uint32_t *from = &image_data_load, *to = &image_data_start; to < &image_data_end;) *to++ = *from++;
    for (uint32_t *to = &image_bss_start; to < &image_bss_end;) *to++ = 0;
    initialise_monitor_handles();

    TIMER_RELOAD = 0xFFFFFFu;
    TIMER_VALUE = 0;
    TIMER_CONTROL = 7;

    static char line[1024];
    static char *words[32];
    struct { char *text; uintptr_t size; } block = {line, sizeof line};
    int count = 0;
    if (semihosting(SYS_GET_CMDLINE, &block) == 0)
        for (char *word = strtok(line, " "); word && count < 31; word = strtok(NULL, " ")) words[count++] = word;
    int status = main(count, words);
    fflush(NULL);
    leave(status);
}

/* newlib's own start files, which this replaces, would bring these two. */
void _init(void) {}
void _fini(void) {}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &image_stack_top, (void *)reset_handler, (void *)fault_handler, (void *)fault_handler, (void *)fault_handler,
    (void *)fault_handler, (void *)fault_handler, (void *)fault_handler, 0, 0, 0, (void *)fault_handler,
    (void *)fault_handler, 0, (void *)fault_handler, (void *)timer_handler,
};
