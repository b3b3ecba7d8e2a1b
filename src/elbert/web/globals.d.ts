// What the thread of the offline page finds besides the browser's own names.
declare function importScripts(...urls: string[]): void;
declare const ort: any; // onnxruntime-web, loaded by importScripts
