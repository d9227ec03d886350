/**
 * @file Safetensors written piece by piece: float tensors whose shapes are known before their numbers, so that the
 * header and every place are there first and no tensor is ever held whole.
 */
import { AtomicSink } from "./atomic-file.ts";
import { bytesOf, checkStorable, type FloatDtype, floatBytes } from "./float-type.ts";
import { sizeOf } from "./host-tensor.ts";
import { headerOf, type WriteSafetensorsOptions } from "./safetensors.ts";

/**
 * A file of float tensors whose numbers come later, in any order and in pieces: the header and so every tensor's place
 * are known from the shapes. Same numbers, same bytes as `writeSafetensors`. It appears under its name at `commit`.
 */
export class SafetensorsSink {
  private readonly path: string;
  private readonly dtype: FloatDtype;
  private readonly sink: AtomicSink;
  private readonly places = new Map<string, { readonly start: number; readonly end: number }>();
  private missing: number;

  constructor(
    path: string,
    shapes: ReadonlyMap<string, readonly number[]>,
    metadata: Readonly<Record<string, string>> = {},
    { dtype = "F32" }: WriteSafetensorsOptions = {},
  ) {
    this.path = path;
    this.dtype = dtype;
    const width = floatBytes(dtype);
    const entries = [...shapes].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    const stored = entries.map(([name, shape]) => ({ name, shape, dtype }));
    const header = headerOf(stored, metadata);
    let at = header.byteLength;
    for (const [name, shape] of entries) {
      const end = at + sizeOf(shape) * width;
      this.places.set(name, { start: at, end });
      at = end;
    }
    this.missing = at - header.byteLength;
    this.sink = new AtomicSink(path);
    this.sink.write(header);
  }

  /** Writes `data` from element `first` of tensor `name`. Errors: RunError for what the type can't hold. */
  write(name: string, first: number, data: Float32Array): void {
    const place = this.places.get(name);
    const width = floatBytes(this.dtype);
    const start = (place?.start ?? 0) + first * width;
    if (!place || start + data.length * width > place.end) {
      throw new Error(`internal: ${this.path} has no room for ${data.length} numbers of ${name}`);
    }
    checkStorable(data, this.dtype, `${this.path}: tensor ${name}`, first);
    const bytes = bytesOf(data, this.dtype);
    this.sink.writeAt(bytes, start);
    this.missing -= bytes.byteLength;
  }

  /** Whether all numbers have been written. */
  get isWhole(): boolean {
    return this.missing === 0;
  }

  /** Flushes the file and gives it its name. */
  commit(): void {
    if (!this.isWhole) throw new Error(`internal: ${this.path} lacks ${this.missing} bytes`);
    this.sink.commit();
  }

  /** Removes what was written. */
  abort(): void {
    this.sink.abort();
  }
}
