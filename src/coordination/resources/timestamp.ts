/** A moment as metadata have it: RFC 3339, in UTC, in whole seconds. */
export function timestamp(wall: number): string {
  return new Date(wall).toISOString().replace(/\.\d+Z$/, 'Z')
}
