import type { Body } from './body.js'

/**
 * Reads a whole body.
 *
 * @param most - bytes; a longer body is not read to its end
 * @returns `undefined` if it is longer; rejects if it breaks off
 */
export function collect(body: Body, most: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let length = 0
    body.pipe({
      write(data) {
        length += data.length
        if (length <= most) {
          parts.push(data)
          return true
        }
        resolve(undefined)
        return false
      },
      end: () => resolve(length > most ? undefined : Buffer.concat(parts)),
      fail: reject,
    })
  })
}
