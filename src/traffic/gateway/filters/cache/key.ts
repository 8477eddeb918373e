import type { Forwarding } from '../../forwarding.js'
import type { Purge } from '../../filter.js'

/** What a kept answer is found by: the resource as the service sees it. */
export function keyOf({ host, target }: Forwarding): string {
  return `${host.toLowerCase()} ${target}`
}

/** The key of a resource that an answer names, if it is of the same host. */
export function keyBeside({ host, target }: Forwarding, reference: string | undefined): string | undefined {
  if (reference === undefined) return undefined
  const base = `http://${host}`
  if (!URL.canParse(target, base)) return undefined
  const from = new URL(target, base).href
  if (!URL.canParse(reference, from)) return undefined
  const to = new URL(reference, from)
  return to.host === new URL(from).host ? `${host.toLowerCase()} ${to.pathname}${to.search}` : undefined
}

/** Whether a resource is one of those. */
export function isNamed(key: string, { host, path }: Purge): boolean {
  const [ofHost = '', target = ''] = key.split(' ')
  if (host !== undefined && ofHost !== host.toLowerCase()) return false
  if (path === undefined) return true
  return path.endsWith('*') ? target.startsWith(path.slice(0, -1)) : target === path
}
