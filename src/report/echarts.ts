/** What is used of the chart library. The build puts this into a file of its own: it is large, and only pages with charts need it. */
export { BarChart } from 'echarts/charts';
export { GridComponent } from 'echarts/components';
export { init, use } from 'echarts/core';
export { SVGRenderer } from 'echarts/renderers';
