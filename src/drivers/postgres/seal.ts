const TWO_32 = 2 ** 32

/**
 * The checksum of an event without where it stands: the inverse of the function `seal` of the database, which has
 * the factors.
 *
 * @param sealed - as it is stored, signed
 */
export function unseal(sealed: number, position: number, revision: number, recorded: number): number {
  const place =
    Math.imul(position, 1640531527) ^
    Math.floor(position / TWO_32) ^
    Math.imul(revision, 1540483477) ^
    Math.floor(revision / TWO_32) ^
    Math.imul(recorded, 1103515245) ^
    Math.floor(recorded / TWO_32)
  return (sealed ^ place) >>> 0
}
