import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { eventError } from '../../events/errors.js'

/**
 * Looks for damage in a write-ahead log before SQLite reads it. SQLite takes a frame whose checksum is wrong for the end
 * of the log, as the torn end of a transaction that was not acknowledged looks like that, and drops what is behind it in
 * silence. The two can be told apart: each transaction is synced before the next begins, so a bad frame that comes before
 * the last transaction was whole once. (Format: https://sqlite.org/fileformat2.html#walformat)
 *
 * @throws `BANYAN_LOG_CORRUPT`
 */
export function checkWal(file: string): void {
  const wal = readWal(`${file}-wal`)
  if (!wal) return
  const damage = damageOf(wal)
  // Another process may have begun the log anew meanwhile.
  if (damage === undefined || !readHeader(`${file}-wal`)?.equals(wal.subarray(0, HEADER))) return
  throw eventError(
    'BANYAN_LOG_CORRUPT',
    `${file}-wal is damaged at byte ${damage}: acknowledged events behind it would be lost. Nothing was changed. ` +
      'Copy all files of the log before anything else, and restore a backup',
  )
}

const HEADER = 32
const FRAME_HEADER = 24
/** So much of it is looked at; it is larger only after a long backup or check. */
const MAX_BYTES = 1024 ** 3
/** The last bit says in which byte order checksums are made. */
const MAGIC = 0x377f0682

/** Where the damage is; undefined if there is none, or nothing that proves it. */
export function damageOf(wal: Buffer): number | undefined {
  if (wal.length < HEADER || isBlank(wal.subarray(0, HEADER))) return undefined
  const magic = wal.readUInt32BE(0)
  const sum = (magic & 1) === 1 ? sumBigEndian : sumLittleEndian
  const header = sum(wal, 0, HEADER - 8, { a: 0, b: 0 })
  if (magic >>> 1 !== MAGIC >>> 1 || !isStored(header, wal, HEADER - 8)) return 0

  const size = FRAME_HEADER + pageSizeOf(wal)
  const frames = Math.floor((wal.length - HEADER) / size)
  let damage: number | undefined
  /** What the next frame may be chained to: the sum that is stored in the last one, and what it should be. */
  let previous = [header]
  let commits = false
  for (let frame = 0; frame < frames; frame++) {
    const at = HEADER + frame * size
    // Of the log before it was begun anew.
    const old = !wal.subarray(at + 8, at + 16).equals(wal.subarray(16, 24))
    const sums = old ? [] : previous.map((each) => sumOfFrame(sum, wal, at, size, each))
    const chained = sums.some((each) => isStored(each, wal, at + 16))
    // Behind a commit, the next transaction: it was begun when that commit had been synced.
    if (chained && damage !== undefined && commits) return damage
    if (!chained) damage ??= at
    previous = [
      { a: wal.readUInt32BE(at + 16), b: wal.readUInt32BE(at + 20) },
      ...(chained ? [] : sums.slice(0, 1)),
    ]
    commits = wal.readUInt32BE(at + 4) !== 0
  }
  return undefined
}

interface Sum {
  readonly a: number
  readonly b: number
}

type SumOf = (bytes: Buffer, from: number, to: number, begin: Sum) => Sum

function sumOfFrame(sum: SumOf, wal: Buffer, at: number, size: number, previous: Sum): Sum {
  return sum(wal, at + FRAME_HEADER, at + size, sum(wal, at, at + 8, previous))
}

function sumBigEndian(bytes: Buffer, from: number, to: number, { a, b }: Sum): Sum {
  for (let at = from; at < to; at += 8) {
    a = (a + bytes.readUInt32BE(at) + b) >>> 0
    b = (b + bytes.readUInt32BE(at + 4) + a) >>> 0
  }
  return { a, b }
}

function sumLittleEndian(bytes: Buffer, from: number, to: number, { a, b }: Sum): Sum {
  for (let at = from; at < to; at += 8) {
    a = (a + bytes.readUInt32LE(at) + b) >>> 0
    b = (b + bytes.readUInt32LE(at + 4) + a) >>> 0
  }
  return { a, b }
}

/** Whether a sum stands where it should. */
function isStored({ a, b }: Sum, wal: Buffer, at: number): boolean {
  return wal.readUInt32BE(at) === a && wal.readUInt32BE(at + 4) === b
}

/** 65,536 is written as 1. */
function pageSizeOf(wal: Buffer): number {
  const size = wal.readUInt32BE(8)
  return size === 1 ? 65_536 : size
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0)
}

function readHeader(path: string): Buffer | undefined {
  return readWal(path, HEADER)
}

function readWal(path: string, length?: number): Buffer | undefined {
  let fd
  try {
    fd = openSync(path, 'r')
  } catch {
    // None is there, or it may not be read, which SQLite will say.
    return undefined
  }
  try {
    const bytes = Buffer.alloc(length ?? Math.min(fstatSync(fd).size, MAX_BYTES))
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}
