import { BanyanError } from '../core/errors.js'

/** Where operators come in, if the configuration does not say. */
export const DEFAULT_ADMIN = '127.0.0.1:8081'

/** Where resources are, below the admin address. */
export const RESOURCES_PATH = '/kubernetes'

/**
 * Reads where to listen.
 *
 * @param text - `host:port`, `[::1]:port`, `:port` (every interface) or a port (loopback only)
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export function parseAddress(text: string | number): { host: string; port: number } {
  const match = /^(?:(\[[0-9a-f:.]+\]|[^:[\]]*):)?(\d{1,5})$/i.exec(String(text))
  const port = Number(match?.[2])
  if (!match || port > 65_535) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `\`${text}\` is not an address: write "127.0.0.1:8080", ":8080" or 8080`,
    )
  }
  const host = match[1]
  return { host: host === undefined ? '127.0.0.1' : host === '' ? '::' : host.replace(/^\[|\]$/g, ''), port }
}

/** The same, as part of a URL. */
export function formatAddress({ address, port }: { address: string; port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** Whether two listeners of one port cannot both be had: the same host, or one of them is every interface. */
export function overlap(a: string, b: string): boolean {
  return a === b || [a, b].some((host) => host === '::' || host === '0.0.0.0')
}
