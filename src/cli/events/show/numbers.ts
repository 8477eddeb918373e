const COUNT = new Intl.NumberFormat('en-US')
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

/** A count that can be read: `1,204,113`. */
export function countText(count: number): string {
  return COUNT.format(count)
}

/** So many of something: `1 event`, `2,000 events`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`
}

/** A size that can be read, in steps of 1024 as everywhere in Banyan: `4.2 MB`. */
export function bytesText(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]!}`
}
