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

interface Address {
  readonly address: string
  /** s */
  readonly ttl?: number
}

/** How long one question to one server may take, in ms, and how often it is asked. */
const TIMEOUT_MS = 2_000
const TRIES = 2

/**
 * DNS, with times to live. A name that it does not know is asked of the system itself, which reads the hosts file and
 * tries search domains; nobody says then how long the answer holds.
 *
 * @param servers - addresses of DNS servers, with their ports or without. Default: as the system has it configured
 */
export function dnsResolver(servers?: readonly string[]): Resolver {
  return {
    async resolve(name, family) {
      const found = await ask(name, family, servers)
      if (found.length > 0) {
        const ttl = Math.min(...found.map((each) => each.ttl ?? 0)) * 1_000
        return { addresses: found.map(({ address }) => address), ttl }
      }
      const known = await lookup(name, { all: true })
      const of = (wanted: number): Address[] => known.filter((each) => each.family === wanted)
      const addresses = chosen(family, of(4), of(6)).map(({ address }) => address)
      if (addresses.length === 0) throw new Error(`${name} has no address of the wanted family`)
      return { addresses, ttl: undefined }
    },
  }
}

/** The system's DNS. */
export const systemResolver: Resolver = dnsResolver()

async function ask(
  name: string,
  family: Family,
  servers: readonly string[] | undefined,
): Promise<readonly Address[]> {
  const resolver = new DnsResolver({ timeout: TIMEOUT_MS, tries: TRIES })
  if (servers) resolver.setServers(servers)
  const [fours, sixes] = await Promise.all([
    family === 'ipv6' ? [] : noneIfUnknown(resolver.resolve4(name, { ttl: true })),
    family === 'ipv4' ? [] : noneIfUnknown(resolver.resolve6(name, { ttl: true })),
  ])
  return chosen(family, fours, sixes)
}

/** No such address is an answer. That nobody has answered is none, or half of the addresses would vanish with it. */
function noneIfUnknown(answer: Promise<Address[]>): Promise<Address[]> {
  return answer.catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENODATA' || code === 'ENOTFOUND') return []
    throw error
  })
}

function chosen(family: Family, fours: readonly Address[], sixes: readonly Address[]): readonly Address[] {
  if (family === 'both') return [...fours, ...sixes]
  if (family === 'ipv6') return sixes
  return family === 'ipv4' || fours.length > 0 ? fours : sixes
}
