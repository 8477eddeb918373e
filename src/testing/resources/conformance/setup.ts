import type { ResourceApi } from '../../../coordination/resources/api.js'

/** What {@link resourceApiConformance} needs to try a `ResourceApi`. */
export interface ResourceApiSetup {
  /**
   * What can be done to it beside the port; each adds the cases for it, and each API under test must bring it. `exceed` needs no
   * tool: it adds what stores of ours do, and a Kubernetes of 1.36 does not.
   */
  readonly can?: readonly (keyof ResourceApiTools | 'exceed')[]
  /**
   * Opens an API that serves {@link conformanceKinds} and has no resources of them; the namespaces `default` and `other` are there,
   * if that matters. Called for each case.
   */
  open(): Promise<ResourceApiUnderTest>
}

/** One API, and the ways to reach it. */
export interface ResourceApiUnderTest {
  /** The first handle on it; the suite closes it. */
  readonly api: ResourceApi
  /** One more handle on the same resources, as another process would open it. The suite closes it. */
  connect(): Promise<ResourceApi>
  readonly tools?: ResourceApiTools
  /** Removes it. */
  dispose?(): Promise<void>
}

/** What can be done to an API. */
export interface ResourceApiTools {
  /**
   * Forgets all changes that were made until now, as after a long time.
   *
   * @returns a handle that knows nothing of them; the suite closes it
   */
  forget?(): Promise<ResourceApi>
  /** Makes bookmarks due: each watch that asks for them is told within 10 s how far everything was told. */
  bookmark?(): Promise<void>
}

/** What a case is given. */
export interface ResourceTrial {
  /** The API under test, without any resources. */
  readonly api: ResourceApi
  /** Another handle on the same resources. */
  readonly another: () => Promise<ResourceApi>
  readonly tool: <Name extends keyof ResourceApiTools>(name: Name) => NonNullable<ResourceApiTools[Name]>
  /** Where chance comes from. */
  readonly seed: number
}

/** A case before it is bound to a setup. */
export interface ResourceCase {
  readonly name: string
  readonly needs?: keyof ResourceApiTools | 'exceed'
  readonly run: (trial: ResourceTrial) => Promise<void>
}
