import type { FileHandle } from 'node:fs/promises'
import { Body, type BodySource } from '../../../http/body.js'

/** Bytes read at once. */
const BLOCK = 64 * 1024

/** A part of an open file as a body: read block by block, as fast as it is taken. Closes the file at its end. */
export class FileBody implements BodySource {
  readonly body: Body
  readonly #file: FileHandle
  #at: number
  #left: number
  #paused = false
  #reading = false
  #over = false

  /**
   * @param first - where to begin
   * @param length - bytes
   */
  constructor(file: FileHandle, first: number, length: number) {
    this.#file = file
    this.#at = first
    this.#left = length
    this.body = new Body(length, this)
    void this.#read()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    void this.#read()
  }

  /** Stops reading: nobody takes the rest. */
  cancel(reason: Error): void {
    if (this.#over) return
    this.#end()
    this.body.fail(reason)
  }

  async #read(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      while (this.#left > 0 && !this.#paused && !this.#over) {
        const block = Buffer.allocUnsafeSlow(Math.min(BLOCK, this.#left))
        const { bytesRead } = await this.#file.read(block, 0, block.length, this.#at)
        // Its length has been told to the client already.
        if (bytesRead === 0) throw new Error('The file has become shorter')
        this.#at += bytesRead
        this.#left -= bytesRead
        // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- changes while the read is under way
        if (!this.#over) this.body.push(block.subarray(0, bytesRead))
      }
    } catch (error) {
      this.cancel(error as Error)
    }
    this.#reading = false
    if (this.#left > 0 || this.#over) return
    this.#end()
    this.body.finish(undefined)
  }

  #end(): void {
    this.#over = true
    // It was only read: what closing could still tell changes nothing.
    this.#file.close().catch(() => undefined)
  }
}
