/**
 * What is stored as the checksum of an event: its own, mixed with what only the log knows of it. A bit that flips in the
 * position, the revision or the time of recording is detected as one in the data is.
 *
 * Applied to what is stored it gives back the checksum.
 */
export function seal(checksum: number, position: number, revision: number, recorded: number): number {
  let hash = mix(0x9e3779b9, position)
  hash = mix(hash, revision)
  hash = mix(hash, recorded)
  return (checksum ^ hash) >>> 0
}

/** Both halves of a whole number, with the finalizer of MurmurHash3 (Austin Appleby, 2011). */
function mix(hash: number, value: number): number {
  return scramble(scramble(hash ^ (value | 0)) ^ Math.floor(value / 2 ** 32))
}

function scramble(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
