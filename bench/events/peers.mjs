// @ts-check
/** What the log is measured beside. */
import { open } from 'node:fs/promises'

/** The least that durable appending costs: what waits is written together, then fdatasync, one after the other. */
export class PlainFile {
  #file
  /** @type {{ text: string, done: () => void }[]} */
  #waiting = []
  #writing = false

  /** @param {import('node:fs/promises').FileHandle} file */
  constructor(file) {
    this.#file = file
  }

  /** @param {string} path */
  static async open(path) {
    return new PlainFile(await open(path, 'a'))
  }

  /** @param {string} text */
  append(text) {
    return new Promise((resolve) => {
      this.#waiting.push({ text, done: () => resolve(undefined) })
      if (!this.#writing) void this.#write()
    })
  }

  async #write() {
    this.#writing = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      await this.#file.write(group.map(({ text }) => text).join(''))
      await this.#file.datasync()
      for (const { done } of group) done()
      // Those who were just answered may join the next group.
      await new Promise(setImmediate)
    }
    this.#writing = false
  }

  async [Symbol.asyncDispose]() {
    await this.#file.close()
  }
}

/** A stream of JetStream in files, published to with acknowledgements. Those do not wait for the disk. */
export async function openJetStream(/** @type {string} */ port) {
  const { connect } = await import('@nats-io/transport-node')
  const { jetstream, jetstreamManager, StorageType } = await import('@nats-io/jetstream')
  const connection = await connect({ servers: `127.0.0.1:${port}` })
  const manager = await jetstreamManager(connection)
  const name = `orders${process.pid}`
  await manager.streams.add({ name, subjects: [name], storage: StorageType.File })
  const client = jetstream(connection)
  return {
    publish: (/** @type {string} */ text) => client.publish(name, text),
    [Symbol.asyncDispose]: async () => {
      await manager.streams.delete(name)
      await connection.close()
    },
  }
}

/** Emmett's event store on PostgreSQL, as its documentation sets it up. */
export async function openEmmett(/** @type {string} */ url) {
  const { getPostgreSQLEventStore } = await import('@event-driven-io/emmett-postgresql')
  const store = getPostgreSQLEventStore(url)
  await store.schema.migrate()
  return {
    append: (/** @type {string} */ stream, /** @type {{ type: string, data: object }} */ event) =>
      store.appendToStream(stream, [event]),
    [Symbol.asyncDispose]: () => store.close(),
  }
}
