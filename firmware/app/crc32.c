// SPDX-License-Identifier: Apache-2.0
// CRC-32 (polynomial 0x04C11DB7, reflected): host and board compare it over the bytes of inputs and outputs.
#include "app.h"

uint32_t crc32_update(uint32_t crc, const uint8_t *bytes, uint32_t count) {
  // Four bits at a time: sixteen words of table instead of 256.
  static const uint32_t table[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
                                     0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                     0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
  crc = ~crc;
  for (uint32_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    crc = table[crc & 15u] ^ (crc >> 4);
    crc = table[crc & 15u] ^ (crc >> 4);
  }
  return ~crc;
}
