// SPDX-License-Identifier: Apache-2.0
// The fault handler: one line per register over the UART, then stop. The host turns addresses into function and line.
// A stack overflow leaves no room for the exception frame: then PC and LR are unknown and printed as zero, and SP and
// (where the core has it) CFSR tell the story.
#include "platform.h"

static void put(const char *text) {
  while (*text)
    uart_putc(*text++);
}

static void put_register(const char *name, uint32_t value) {
  put("e-fault-");
  put(name);
  put("-[0x");
  for (int shift = 28; shift >= 0; shift -= 4)
    uart_putc("0123456789abcdef"[(value >> shift) & 15u]);
  put("]\r\n");
}

__attribute__((noreturn, used)) static void report(uint32_t sp, uint32_t pc, uint32_t lr) {
  static const char *const names[8] = {"Thread", "Reset",      "NMI",        "HardFault",
                                         "MemManage", "BusFault", "UsageFault", "SecureFault"};
  uint32_t exception;
  __asm volatile("mrs %0, ipsr" : "=r"(exception));
  put("\r\ne-fault-[");
  put(exception < 8u ? names[exception] : "Exception");
  put("]\r\n");
  put_register("pc", pc);
  put_register("lr", lr);
  put_register("sp", sp);
#if !defined(__ARM_ARCH_6M__)
  const uint32_t cfsr = REG32(0xE000ED28);
  put_register("cfsr", cfsr);
  put_register("hfsr", REG32(0xE000ED2C));
  if (cfsr & (1u << 7))  // MMARVALID
    put_register("mmfar", REG32(0xE000ED34));
  if (cfsr & (1u << 15))  // BFARVALID
    put_register("bfar", REG32(0xE000ED38));
#endif
  put("e-fault-stop\r\n");
  for (;;) {
  }
}

// The frame (r0-r3, r12, lr, pc, xpsr) is read only where it lies wholly inside the stack; the report then runs on a
// fresh stack, for the old one may be the problem.
__attribute__((naked)) void fault_handler(void) {
  __asm volatile(
    "    mov  r0, sp\n"
    "    movs r1, #0\n"
    "    movs r2, #0\n"
    "    ldr  r3, =_stack_bottom\n"
    "    cmp  r0, r3\n"
    "    blo  1f\n"
    "    ldr  r3, =_stack_top - 32\n"
    "    cmp  r0, r3\n"
    "    bhi  1f\n"
    "    ldr  r1, [r0, #24]\n"
    "    ldr  r2, [r0, #20]\n"
    "1:  ldr  r3, =_stack_top\n"
    "    mov  sp, r3\n"
    "    ldr  r3, =%c[report]\n"
    "    bx   r3\n"
    "    .ltorg\n"
    :
    : [report] "i"(report));
}
