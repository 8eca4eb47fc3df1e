# SPDX-License-Identifier: Apache-2.0
"""A real board's core in QEMU, for when the board is not at hand: the machine that stands for the core, with as much of
its memory as the board has. The model's C is the same to the byte; drivers and addresses are the machine's.
"""
from __future__ import annotations

from dataclasses import replace

from mcunas.board import Board
from mcunas.board_parts import Memory
from mcunas.device.build import Image, build
from mcunas.errors import InputError


def stand_in(board: Board) -> Board:
    """`board` itself if it has an emulator. Raises InputError where no machine has such a core, or too little memory."""
    if board.emulate is not None:
        return board
    machine = next((b for b in map(Board.load, Board.cores()) if (b.cpu, b.isa) == (board.cpu, board.isa)), None)
    if machine is None:
        raise InputError(f"no emulated machine has a {board.cpu}", board.key, "name the board's --port")
    flash, ram = machine.flash, machine.ram_for("arena")
    memories, at = [], ram.origin
    for memory in board.memories:
        if memory.kind == "flash":
            memories.append(Memory(memory.name, "flash", flash.origin, min(memory.size, flash.size)))
        else:
            memories.append(replace(memory, origin=at))
            at += -(-memory.size // 32) * 32
    if at > ram.end:
        raise InputError(f"{machine.name} has too little RAM to stand for it", board.key, "name the board's --port")
    return replace(board, memories=tuple(memories), family=machine.family, console=machine.console, timer=machine.timer,
                   emulate=machine.emulate, clock=machine.clock, flashing=None)


def emulated(image: Image) -> Image:
    """`image`, or the same model for its core's stand-in, in a folder beside; sizes stay those of the real build."""
    board = stand_in(image.board)
    if board is image.board:
        return image
    if image.is_tflm:
        from mcunas.device.tflm import rebuilt

        built = rebuilt(image, board, image.folder / "qemu")
    else:
        from mcunas.device.locate import recompiled

        data = image.tflite.read_bytes() if image.tflite else None
        built = build(recompiled(image), board, image.folder / "qemu", tflite=data, decoder=image.decoder)
    return replace(built, manifest=image.manifest)
