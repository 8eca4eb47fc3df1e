// SPDX-License-Identifier: Apache-2.0
// Runs a Pico's firmware in rp2040js from its boot stage on, and asks it commands over UART0.
// node pico.mjs MODULE_FOLDER FIRMWARE.bin COMMAND... -> JSON: the answers, the console's baud rate, the core's clock
import fs from 'node:fs';

const [folder, image, ...commands] = process.argv.slice(2);
const { Simulator } = await import(`${folder}/dist/esm/simulator.js`);
const NS_PER_CYCLE = 8, BOOT_STAGE = 0x20041f00;
const simulator = new Simulator(), chip = simulator.rp2040, bytes = fs.readFileSync(image);
let heard = '', baud = 0;
chip.logger = { debug() {}, info() {}, warn() {}, error() {} };
chip.uart[0].onByte = (byte) => (heard += String.fromCharCode(byte));
chip.uart[0].onBaudRateChange = (rate) => (baud = rate);

// What the boot ROM does: the flash's first 256 bytes run in the SRAM's last ones.
chip.flash.fill(0xff).set(bytes);
for (let i = 0; i < 256; i++) chip.writeUint8(BOOT_STAGE + i, bytes[i]);
chip.core.PC = chip.core.SP = BOOT_STAGE;

function run(instructions) {
  for (let i = 0; i < instructions; i++) simulator.clock.tick(chip.core.executeInstruction() * NS_PER_CYCLE);
}

function answer() {
  for (let i = 0; i < 30000 && !heard.endsWith('m-ready\r\n'); i++) run(1000);
  return heard.split('\r\n').slice(0, -2);
}

function ask(command) {
  heard = '';
  for (const character of `${command}%`) {
    chip.uart[0].feedByte(character.charCodeAt(0));
    run(3000);
  }
  return answer();
}

const boot = answer();
console.log(JSON.stringify({ boot, answers: commands.map(ask), baud, core_hz: chip.clkSys }));
