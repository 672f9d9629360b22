import { Markup } from './html-text.js';
import { cut, displayWidth, shown } from './safe-text.js';

export interface Bar {
  readonly label: string;
  readonly value: number;
}

export type DrawBars = (bars: readonly Bar[], direction: 'upright' | 'lying', unit: (n: number) => string) => Markup;

const WIDTH = 420;
const LABEL_COLUMNS = 24;
/** Width of a column of the page's 12 px font, on the safe side: the library cannot measure it here. */
const COLUMN = 7.2;

/** Loads the chart library (it is large, so only when a page with charts is made) and returns what draws bars as SVG. */
export async function loadCharts(): Promise<DrawBars> {
  const { BarChart, GridComponent, init, SVGRenderer, use } = await import('./echarts.js');
  use([BarChart, GridComponent, SVGRenderer]);
  return (bars, direction, unit) => {
    const upright = direction === 'upright';
    const height = upright ? 240 : 40 + bars.length * 22;
    const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
    const names = bars.map(bar => cut(shown(bar.label), LABEL_COLUMNS));
    const beside = upright ? bars.map(bar => unit(bar.value)) : names;
    const left = 12 + COLUMN * Math.max(4, ...beside.map(displayWidth));
    const labels = {
      type: 'category' as const,
      data: names,
      inverse: !upright,
      axisTick: { show: false },
      axisLabel: upright ? { hideOverlap: true } : { interval: 0 },
    };
    const values = {
      type: 'value' as const,
      splitNumber: upright ? 4 : 3,
      minInterval: 1,
      axisLabel: { formatter: unit, hideOverlap: true },
    };
    chart.setOption({
      animation: false,
      grid: { left, right: 24, top: 12, bottom: 28, outerBoundsMode: 'none' },
      xAxis: upright ? labels : values,
      yAxis: upright ? values : labels,
      series: [{ type: 'bar', silent: true, barMaxWidth: 32, data: bars.map(bar => bar.value) }],
    });
    const svg = chart.renderToSVGString();
    chart.dispose();
    return new Markup(plain(svg));
  };
}

/**
 * The page's policy allows no inline style, so colours and fonts come from the page's style sheet by class; that also
 * makes charts follow light, dark and print. Labels are escaped by the library and hold nothing a tag could hide in.
 */
function plain(svg: string): string {
  return svg
    .replace(/<style\s*>[\s\S]*?<\/style>/g, '')
    .replace(/<rect [^>]*fill="none"[^>]*><\/rect>/g, '')
    .replace(/<(path|text|g|svg)( [^>]*)>/g, (_, tag: string, attributes: string) => {
      const kept = attributes.replace(
        / (style|class|ecmeta_\w+|pointer-events|xmlns:xlink|xml:space|baseProfile)="[^"]*"/g,
        '',
      );
      const role = tag === 'svg' ? ' aria-hidden="true"' : '';
      const kind = attributes.includes('ecmeta_series_index') ? ' class="bar"' : tag === 'path' ? ' class="rule"' : '';
      return `<${tag}${kept.replace(/ (fill|stroke)="(?!none)[^"]*"/g, '')}${role}${kind}>`;
    })
    .replace(/\n+/g, '\n');
}
