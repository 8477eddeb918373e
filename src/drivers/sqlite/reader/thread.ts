/** The thread that reads ahead for those who have much before them: the event loop of the application only takes it over. */
import SQLite from 'better-sqlite3'
import { workerData } from 'node:worker_threads'
import type { Query } from '../../../events/driver.js'
import { connectReader } from '../connect.js'
import { serve } from '../serve.js'
import { readPage } from './page.js'
import { Reader } from './reader.js'
import { packPage, type PackedPage } from './wire.js'

/** What it serves. */
export class PageReader {
  readonly #reader: Reader

  constructor(file: string) {
    this.#reader = new Reader(connectReader(SQLite, file), file)
  }

  page(query: Query): PackedPage {
    return packPage(readPage(this.#reader, query))
  }

  close(): void {
    this.#reader.db.close()
  }
}

serve(() => new PageReader(workerData as string))
