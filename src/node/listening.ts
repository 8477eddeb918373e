import { BanyanError } from '../core/errors.js'
import { parseAddress } from './address.js'

/**
 * Opens one listener.
 *
 * @param setting - the name of what asks for it, for the error
 * @throws {@link BanyanError} `BANYAN_LISTEN`, telling which setting is at fault and what to do
 */
export async function openAt<Opened>(
  setting: string,
  text: string | number,
  listen: (port: number, host: string) => Promise<Opened>,
): Promise<Opened> {
  const { host, port } = parseAddress(text)
  try {
    return await listen(port, host)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why =
      code === 'EADDRINUSE'
        ? `the port is in use by another process; stop that, or choose another port`
        : code === 'EACCES'
          ? 'this user may not listen there; choose a port of 1024 or above'
          : message
    throw new BanyanError('BANYAN_LISTEN', `${setting}: cannot listen on ${host}:${port}: ${why}`, {
      cause: error,
    })
  }
}

/** Text that is the same for settings that ask for the same address. */
export function addressKey(text: string | number): string {
  const { host, port } = parseAddress(text)
  return `${host} ${port}`
}
