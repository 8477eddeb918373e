import type { Socket } from 'node:net'
import type { Connection, ConnectionHost } from './server-connection.js'

/**
 * What stands between a new socket and its requests: finds out what is spoken on it (TLS, the first bytes), makes a
 * connection of it and hands that to `admit`; or destroys the socket.
 */
export type Entrance = (socket: Socket, host: ConnectionHost, admit: (connection: Connection) => void) => void
