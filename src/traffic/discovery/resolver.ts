import { lookup, Resolver as DnsResolver } from 'node:dns/promises'

/** Addresses of a name. */
export interface Resolved {
  /** IP addresses; at least one. */
  readonly addresses: readonly string[]
  /** ms for which they hold; `undefined` if that is not known. */
  readonly ttl: number | undefined
}

/** Which addresses of a name are wanted: `auto` is IPv4, or IPv6 if there is none. */
export type Family = 'auto' | 'ipv4' | 'ipv6' | 'both'

/** Finds the addresses of a name. */
export interface Resolver {
  /** Rejects if there is none, or nobody answers. */
  resolve(name: string, family: Family): Promise<Resolved>
}

/**
 * The DNS as the system has it configured, with times to live; a name that it does not know is asked of the system
 * itself, which reads the hosts file and tries search domains.
 */
export const systemResolver: Resolver = {
  async resolve(name, family) {
    try {
      return await query(name, family)
    } catch (failure) {
      const found = await lookup(name, { all: true }).catch(() => {
        // What DNS said tells more than the system's "not found".
        throw failure
      })
      const addresses = chosen(
        family,
        found.filter((each) => each.family === 4).map(({ address }) => address),
        found.filter((each) => each.family === 6).map(({ address }) => address),
      )
      if (addresses.length === 0) throw failure
      return { addresses, ttl: undefined }
    }
  },
}

async function query(name: string, family: Family): Promise<Resolved> {
  const resolver = new DnsResolver({ timeout: 2_000, tries: 2 })
  const none: { address: string; ttl: number }[] = []
  const [four, six] = await Promise.allSettled([
    family === 'ipv6' ? none : resolver.resolve4(name, { ttl: true }),
    family === 'ipv4' ? none : resolver.resolve6(name, { ttl: true }),
  ])
  const fours = four.status === 'fulfilled' ? four.value : []
  const sixes = six.status === 'fulfilled' ? six.value : []
  const records = chosen(family, fours, sixes)
  if (records.length === 0) {
    const failure = [four, six].find((each) => each.status === 'rejected')
    throw failure ? (failure.reason as Error) : new Error(`no address for ${name}`)
  }
  return {
    addresses: records.map(({ address }) => address),
    ttl: Math.min(...records.map(({ ttl }) => ttl)) * 1_000,
  }
}

function chosen<T>(family: Family, fours: readonly T[], sixes: readonly T[]): readonly T[] {
  if (family === 'both') return [...fours, ...sixes]
  if (family === 'ipv6') return sixes
  return family === 'ipv4' || fours.length > 0 ? fours : sixes
}
