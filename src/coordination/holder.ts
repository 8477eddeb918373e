import { hostname } from 'node:os'

/** What operators see of who holds something, unless said otherwise: `host:pid`. */
export function thisHolder(): string {
  return `${hostname()}:${process.pid}`
}
