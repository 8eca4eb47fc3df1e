// SPDX-License-Identifier: Apache-2.0
#include "app.h"
#include "platform.h"

int main(void);

__attribute__((weak)) void app_setup(void) {
}

int main(void) {
  chip_init();
  uart_init();
  clock_init();
  app_setup();
  guard_paint(GUARD_PATTERN);
  put_text("m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n");
  command_loop();
}
