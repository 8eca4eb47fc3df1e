// SPDX-License-Identifier: Apache-2.0
#include "app.h"
#include "platform.h"

int main(void);

int main(void) {
  chip_init();
  uart_init();
  clock_init();
  guard_paint(GUARD_PATTERN);
  put_text("m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n");
  command_loop();
}
