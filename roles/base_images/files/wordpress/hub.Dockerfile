# The official image, and wp-lab, which installs and posts without a browser.
ARG BASE
FROM ${BASE}
COPY wp-lab wp-lab.php /usr/local/bin/
