/** Reasons are for people, and stand in every step that has to do with their lane. */
const REASON_CHARACTERS = 1000

/** The beginning of a reason that is too long. */
export function shortened(reason: string): string {
  if (reason.length <= REASON_CHARACTERS) return reason
  // Not half a character.
  const start = reason.slice(0, REASON_CHARACTERS).replace(/[\ud800-\udbff]$/, '')
  return `${start}… (${reason.length} characters)`
}
