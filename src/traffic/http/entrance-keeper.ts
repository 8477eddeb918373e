import type { Timer } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import type { Entrance } from './entrance.js'
import type { ListenerSpec, TlsSpec } from './listener-spec.js'
import type { Files } from './tls/certificate.js'
import type { TlsMaterial } from './tls/load.js'

/** How often files are looked at, in ms. Read whole: a change of a link far up the path is noticed too. */
const LOOK_MS = 10_000

/** How long before the end of a certificate its end is worth a warning, in ms. */
const SOON_MS = 14 * 24 * 3600 * 1000

/** How often that is said again, in ms. */
const AGAIN_MS = 24 * 3600 * 1000

/** What a keeper needs. */
export interface EntranceKeeperOptions {
  runtime: Runtime
  /** What logs and metrics call the listener. */
  name: string
  /** How long a handshake may take, in ms. */
  handshakeTimeout: number
}

/** A change that is ready to come into force, or to be forgotten. */
export interface PreparedEntrance {
  commit(): void
}

/** All that a specification and its files have come to. */
interface State {
  spec: ListenerSpec
  entrance: Entrance | undefined
  /** What the files held. */
  files: Files
  certificates: TlsMaterial['certificates']
}

/**
 * Keeps the entrance of a listener as its specification says, and as the files say that it names: these are read again
 * as they change. Handshakes from then on get the new certificates, connections that are open live on. Files that cannot
 * be used change nothing.
 */
export class EntranceKeeper {
  readonly #options: EntranceKeeperOptions
  readonly #failures: Counter
  #state: State
  #install: ((entrance: Entrance | undefined) => void) | undefined = undefined
  #timer: Timer | undefined = undefined
  #closed = false
  /** Content that could not be used, and how often it was seen so. */
  #refused: { files: Files; seen: number } | undefined = undefined
  #gauges: (() => void)[] = []
  #warnedAt = -Infinity

  private constructor(options: EntranceKeeperOptions, failures: Counter, state: State) {
    this.#options = options
    this.#failures = failures
    this.#state = state
  }

  /**
   * Reads what a specification asks for.
   *
   * @throws {@link BanyanError} `BANYAN_CERTIFICATE` if a file is missing or not what it should be
   */
  static async open(spec: ListenerSpec, options: EntranceKeeperOptions): Promise<EntranceKeeper> {
    const failures = options.runtime.telemetry.counter('banyan.tls.handshake.failures', {
      description: 'TLS handshakes that did not lead to a connection.',
      unit: '{handshake}',
      attributes: { 'banyan.listener': options.name },
    })
    return new EntranceKeeper(options, failures, await build(spec, options, failures))
  }

  /** What is in force. */
  get spec(): ListenerSpec {
    return this.#state.spec
  }

  /**
   * Begins to keep.
   *
   * @param install - gets the entrance now, and whenever there is another
   */
  start(install: (entrance: Entrance | undefined) => void): void {
    this.#install = install
    this.#adopt(this.#state)
  }

  /**
   * Reads what another specification asks for, and its files in any case.
   *
   * @throws {@link BanyanError} as {@link EntranceKeeper.open}; nothing has changed then
   */
  async prepare(spec: ListenerSpec): Promise<PreparedEntrance> {
    const state = await build(spec, this.#options, this.#failures)
    return { commit: () => this.#adopt(state) }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    for (const remove of this.#gauges) remove()
  }

  #adopt(state: State): void {
    if (this.#closed) return
    this.#state = state
    this.#refused = undefined
    this.#measure()
    this.#warn(true)
    this.#install?.(state.entrance)
    this.#timer?.cancel()
    if (state.spec.tls) this.#lookLater(state.spec.tls)
  }

  #lookLater(tls: TlsSpec): void {
    const { clock } = this.#options.runtime
    const state = this.#state
    this.#timer = clock.schedule(clock.now() + LOOK_MS, () => {
      void this.#look(tls, state).then(() => {
        // Unless another specification has come into force, which looks by itself.
        if (this.#state === state && !this.#closed) this.#lookLater(tls)
      })
    })
  }

  async #look(tls: TlsSpec, before: State): Promise<void> {
    const { filesOf, outOfTime, readFiles } = await import('./tls/load.js')
    const files = await readFiles(filesOf(tls))
    if (this.#state !== before || this.#closed) return
    this.#warn(false)
    if (sameFiles(files, before.files)) {
      this.#refused = undefined
      return
    }
    try {
      const state = await build(before.spec, this.#options, this.#failures, files)
      if (this.#state !== before) return
      const now = this.#options.runtime.clock.wall()
      const late = state.certificates.find((each) => outOfTime(each, now))
      if (late && before.certificates.every((each) => !outOfTime(each, now)))
        throw new BanyanError(
          'BANYAN_CERTIFICATE',
          `the certificate of ${late.label} ${outOfTime(late, now)!}`,
        )
      this.#adopt(state)
      this.#log('info', 'The certificates of a listener have changed; new connections get the new ones.')
    } catch (error) {
      const again = this.#refused && sameFiles(files, this.#refused.files)
      this.#refused = { files, seen: again ? this.#refused!.seen + 1 : 1 }
      // The first time one file of a pair may just be written before the other.
      if (this.#refused.seen !== 2) return
      this.#log('error', 'Changed certificates cannot be used; the ones before stay in use.', {
        'exception.message': (error as Error).message,
      })
    }
  }

  #measure(): void {
    const { runtime, name } = this.#options
    const before = this.#gauges
    this.#gauges = this.#state.certificates.map(({ label, keyType, notAfter }) =>
      runtime.telemetry.gauge(
        'banyan.tls.certificate.expiry',
        {
          description: 'Time until a certificate expires.',
          unit: 's',
          attributes: { 'banyan.listener': name, 'banyan.certificate': label, 'banyan.key_type': keyType },
        },
        () => (notAfter - runtime.clock.wall()) / 1000,
      ),
    )
    for (const remove of before) remove()
  }

  #warn(changed: boolean): void {
    const { clock } = this.#options.runtime
    if (!changed && clock.now() < this.#warnedAt + AGAIN_MS) return
    this.#warnedAt = clock.now()
    for (const { label, notAfter } of this.#state.certificates) {
      if (notAfter - clock.wall() > SOON_MS) continue
      this.#log('warn', 'A certificate expires soon.', {
        'banyan.certificate': label,
        'banyan.certificate.not_after': new Date(notAfter).toISOString(),
      })
    }
  }

  #log(level: 'info' | 'warn' | 'error', message: string, more: Record<string, string> = {}): void {
    const { runtime, name } = this.#options
    runtime.telemetry.log(level, message, { 'banyan.listener': name, ...more })
  }
}

/** What TLS and HTTP/2 need is loaded only for a listener that asks for it. */
async function build(
  spec: ListenerSpec,
  { handshakeTimeout }: EntranceKeeperOptions,
  failures: Counter,
  known?: Files,
): Promise<State> {
  const { tls } = spec
  if (!tls) {
    const entrance = spec.h2c ? (await import('./http2/preface.js')).prefaceEntrance : undefined
    return { spec, entrance, files: new Map(), certificates: [] }
  }
  const { filesOf, readFiles, requireTls } = await import('./tls/load.js')
  const { tlsEntrance } = await import('./tls/tls-entrance.js')
  const files = known ?? (await readFiles(filesOf(tls)))
  const material = requireTls(tls, files)
  const entrance = tlsEntrance({
    spec: tls,
    material,
    Http2: spec.http2 === false ? undefined : (await import('./http2/http2-connection.js')).Http2Connection,
    handshakeTimeout,
    onFailure: (code) => failures.add(1, { 'error.type': code }),
  })
  return { spec, entrance, files, certificates: material.certificates }
}

function sameFiles(a: Files, b: Files): boolean {
  if (a.size !== b.size) return false
  for (const [path, content] of a) {
    const other = b.get(path)
    if (
      content instanceof Buffer && other instanceof Buffer
        ? !content.equals(other)
        : String(content) !== String(other)
    )
      return false
  }
  return true
}
