import type { Purge } from '../../filter.js'
import type { Forwarding } from '../../forwarding.js'

/**
 * What a kept answer is found by: target, host and scheme. The host and the scheme are those that the client used, as
 * a service may write them into its answers even where it sees another host itself.
 */
export function keyOf(forwarding: Forwarding, target = forwarding.target): string {
  const host = forwarding.sent('x-forwarded-host') ?? forwarding.host
  const scheme = forwarding.sent('x-forwarded-proto') ?? ''
  return `${target} ${host.toLowerCase().replace(/\s/g, '')} ${scheme}`
}

/** The key of a resource that an answer names, if it is of the same host. */
export function keyBeside(forwarding: Forwarding, reference: string | undefined): string | undefined {
  const base = `http://${forwarding.host}`
  if (reference === undefined || !URL.canParse(forwarding.target, base)) return undefined
  const from = new URL(forwarding.target, base)
  if (!URL.canParse(reference, from.href)) return undefined
  const to = new URL(reference, from)
  const hosts = [from.host, forwarding.sent('x-forwarded-host')?.toLowerCase()]
  return hosts.includes(to.host) ? keyOf(forwarding, to.pathname + to.search) : undefined
}

/** Whether a resource is one of those. */
export function isNamed(key: string, { host, path }: Purge): boolean {
  const [target = '', ofHost = ''] = key.split(' ')
  if (host !== undefined && ofHost !== host.toLowerCase()) return false
  if (path === undefined) return true
  return path.endsWith('*') ? target.startsWith(path.slice(0, -1)) : target === path
}
